"""Runs in a pod: gives the broker a user for SCRAM-SHA-512. Arguments: brokers, name, password."""

import sys

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

servers, name, password = sys.argv[1:]
scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192)
wanted = UserScramCredentialUpsertion(name, scram, password.encode())
admin = AdminClient({"bootstrap.servers": servers})
for done in admin.alter_user_scram_credentials([wanted]).values():
    done.result(30)
print("true")
