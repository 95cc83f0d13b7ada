# Runs around a removal. Configuration, credentials, key registry and identities are never changed.
before_removal() {
  if [ -d /run/systemd/system ]; then
    if systemctl is-active --quiet bao-kms-provider.service; then
      echo "bao-kms-provider stops now: a kube-apiserver that reads through it cannot decrypt after its next restart."
    fi
    systemctl stop bao-kms-provider.path bao-kms-provider.service
  fi
}

after_removal() {
  rm -f /etc/systemd/system/multi-user.target.wants/bao-kms-provider.service
  rm -f /etc/systemd/system/paths.target.wants/bao-kms-provider.path
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
  fi
  echo "bao-kms-provider keeps these; delete them when no stored object needs them:"
  for path in /etc/openbao-kms /var/lib/openbao-kms /run/openbao-kms; do
    if [ -e "$path" ]; then
      echo "  $path"
    fi
  done
  echo "  user openbao-kms, groups openbao-kms and openbao-kms-socket"
  echo "Without /var/lib/openbao-kms/state, data encrypted under rotated keys is readable only after rebuild-registry."
}
