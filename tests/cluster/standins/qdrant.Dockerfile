FROM scratch
ADD rootfs.tar /
COPY qdrant /qdrant/qdrant
RUN mkdir -p /qdrant/storage /qdrant/snapshots /qdrant/config \
 && touch /qdrant/config/config.yaml /qdrant/config/production.yaml && chown -R 1000:1000 /qdrant
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    RUN_MODE=production
WORKDIR /qdrant
USER 1000:1000
ENTRYPOINT ["./qdrant"]
