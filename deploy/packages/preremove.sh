#!/bin/sh
# Before a removal, not before an upgrade. dpkg says remove, rpm 0.
set -e
case $1 in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl stop petra_exporter.socket petra_exporter.service 'petra_exporter@*.service'
		systemctl disable petra_exporter.socket petra_exporter.service petra_exporter@.service
	fi
	;;
esac
