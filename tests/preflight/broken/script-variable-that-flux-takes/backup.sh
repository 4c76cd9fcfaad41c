#!/bin/sh
today=$(date +%F)
tar -cf "/backup/$${HOSTNAME}.tar" "/data/${FOLDER:-all}"
cp /backup/latest.tar "/backup/${today}.tar"
wget -O- "http://${domain}/done"
