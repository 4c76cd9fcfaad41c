"""Runs in a pod: writes anchors and recall requests at a steady rate, and counts what comes back.

Arguments: seconds to write for, messages of each kind a second. Prints `writing` when it begins, and at the
end one JSON object: for each answering topic how many answers were due, how many of them never came, how
many came twice, and the slowest, in seconds.
"""

import json
import os
import sys
import time
import uuid
from datetime import UTC, datetime

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

SECONDS, RATE = float(sys.argv[1]), float(sys.argv[2])
GRACE = 300.0
ANSWERS = {"anchors-indexed": "anchor_id", "recall-response": "request_id", "retell-response": "request_id"}
SERVERS = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}

consumer = Consumer({**SERVERS, "group.id": str(uuid.uuid4()), "enable.auto.commit": False})
topics = consumer.list_topics(timeout=30).topics
consumer.assign([TopicPartition(t, p, OFFSET_END) for t in ANSWERS for p in topics[t].partitions])
consumer.poll(1.0)
for topic in ANSWERS:  # an end that was not looked up yet would move while we write
    for partition in topics[topic].partitions:
        consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)

producer = Producer({**SERVERS, "enable.idempotence": True, "delivery.timeout.ms": 240_000})
sent = {topic: {} for topic in ANSWERS}
came = {topic: {} for topic in ANSWERS}
slowest = dict.fromkeys(ANSWERS, 0.0)


def write(number):
    now = datetime.now(UTC).isoformat()
    anchor, request = str(uuid.uuid4()), str(uuid.uuid4())
    text = f"Walk number {number} went along the river to the old mill."
    producer.produce("anchors-write", json.dumps({"anchor_id": anchor, "text": text, "stored_at": now}))
    producer.produce("recall-request", json.dumps({"request_id": request, "query": f"walk {number}"}))
    sent["anchors-indexed"][anchor] = time.monotonic()
    sent["recall-response"][request] = sent["retell-response"][request] = time.monotonic()


def read(timeout):
    for message in consumer.consume(500, timeout):
        if message.error():
            continue
        topic = message.topic()
        answer = json.loads(message.value())
        identity = answer[ANSWERS[topic]]
        if identity in sent[topic]:
            if topic == "anchors-indexed" and not answer["ok"]:
                raise SystemExit(f"refused: {answer}")
            came[topic][identity] = came[topic].get(identity, 0) + 1
            slowest[topic] = max(slowest[topic], time.monotonic() - sent[topic][identity])


print("writing", flush=True)
began, number = time.monotonic(), 0
while (elapsed := time.monotonic() - began) < SECONDS:
    while number < elapsed * RATE:
        write(number)
        number += 1
    producer.poll(0)
    read(0.05)
producer.flush(240)
until = time.monotonic() + GRACE
while time.monotonic() < until and any(len(came[t]) < len(sent[t]) for t in ANSWERS):
    read(0.5)
read(2.0)
print(
    json.dumps(
        {
            topic: {
                "due": len(sent[topic]),
                "lost": len(sent[topic]) - len(came[topic]),
                "repeated": sum(count - 1 for count in came[topic].values()),
                "slowest": round(slowest[topic], 2),
            }
            for topic in ANSWERS
        }
    )
)
