#!/bin/sh
# After an installation or an upgrade: what ran is restarted. Nothing is started for
# the first time: it needs a key before.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart petra_exporter.service
fi
