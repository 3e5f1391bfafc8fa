# After installing ($1 = 1) or upgrading ($1 = 2 or more). Deletes nothing, and enables nothing unless the organisation's
# policy was already there when the package came.
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null 2>&1 || :
fi
if [ "$1" -eq 1 ] && [ -e /etc/ccretain/managed-policy.json ]; then
  systemctl enable ccretain.timer >/dev/null 2>&1 || :
  if [ -d /run/systemd/system ]; then
    systemctl start ccretain.timer >/dev/null 2>&1 || :
  fi
fi
