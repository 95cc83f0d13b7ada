# check_processor MACHINE CPUINFO: warns when the executable would end with an illegal instruction.
check_processor() {
  if [ "$1" = x86_64 ] && [ -r "$2" ] && ! grep -qw sse4_2 "$2"; then
    echo "warning: this processor has no SSE4.2 (x86-64-v2): bao-kms-provider cannot run on it." >&2
    echo "  On a virtual machine, choose another CPU model, for example host or x86-64-v2." >&2
  fi
}

# Runs after the files are installed. $1: "first" or "upgrade".
after_install() {
  check_processor "$(uname -m)" /proc/cpuinfo
  make_identities
  make_directories
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
  fi
  if [ "$1" = upgrade ]; then
    if [ -d /run/systemd/system ]; then
      # Only a running service is restarted: an upgrade starts nothing.
      systemctl try-restart bao-kms-provider.service
    fi
  elif [ ! -e /etc/openbao-kms/config.yaml ]; then
    echo "bao-kms-provider is installed and not started. Next:"
    echo "  1. Write /etc/openbao-kms/config.yaml; start from /usr/share/doc/bao-kms-provider/examples/config/provider-systemd.yaml"
    echo "  2. Check: bao-kms-provider doctor --config /etc/openbao-kms/config.yaml"
    echo "  3. Start: systemctl enable --now bao-kms-provider.service"
    echo "  The documentation is in /usr/share/doc/bao-kms-provider/README.md"
  fi
}
