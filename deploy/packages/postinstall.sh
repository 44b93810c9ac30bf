#!/bin/sh
# After an installation or an upgrade: what ran is restarted. Nothing is started for
# the first time: it needs a key before. A configuration that the new version refuses
# must not leave the package half installed.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart petra_exporter.service 'petra_exporter@*.service' ||
		echo 'petra_exporter does not start: see systemctl status "petra_exporter*"' >&2
fi
