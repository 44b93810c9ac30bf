#!/bin/sh
# After a removal. dpkg --purge takes away what was made for the exporters too: keys,
# configurations and state files.
set -e
if [ "$1" = purge ]; then
	rm -rf /etc/petra_exporter /etc/petra_exporter@* /etc/default/petra_exporter@* \
		/var/lib/petra_exporter /var/lib/petra_exporter@* \
		/var/lib/private/petra_exporter /var/lib/private/petra_exporter@*
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
