#!/bin/sh
# After a removal. dpkg --purge takes away what was made for the exporter too: the key,
# the configuration and the state file.
set -e
if [ "$1" = purge ]; then
	rm -rf /etc/petra_exporter /var/lib/petra_exporter /var/lib/private/petra_exporter
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
