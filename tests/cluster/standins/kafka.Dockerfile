FROM scratch
ADD rootfs.tar /
COPY libs /opt/kafka/libs
COPY kafka/server.properties kafka/log4j2.yaml kafka/tools-log4j2.yaml kafka/run /etc/kafka/docker/
RUN mkdir -p /var/lib/kafka/data /mnt/shared/config /opt/kafka/config /opt/kafka/logs \
 && chown -R 1000:1000 /var/lib/kafka /mnt/shared /opt/kafka/config /opt/kafka/logs
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 1000
VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]
CMD ["/etc/kafka/docker/run"]
