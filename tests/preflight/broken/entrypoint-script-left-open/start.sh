#!/bin/sh
if [ -n "$DEBUG" ]; then
  set -x
exec python -m shop.web
