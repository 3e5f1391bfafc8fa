# After removing ($1 = 0) or upgrading. Ledgers and policies stay.
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null 2>&1 || :
fi
if [ "$1" -eq 0 ]; then
  echo "ccretain: ledgers stay: /var/log/ccretain, and .local/state/ccretain in the home of each user"
fi
