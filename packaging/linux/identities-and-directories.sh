# Creates the provider's users, groups and directories. Part of the deb's postinst and of the rpm's %post.
# Files in /etc/sysusers.d and /etc/tmpfiles.d of the same name win, as everywhere in systemd.
make_identities() {
  if command -v systemd-sysusers >/dev/null 2>&1; then
    systemd-sysusers openbao-kms.conf && return 0
  fi
  getent group openbao-kms >/dev/null || groupadd --system openbao-kms
  getent group openbao-kms-socket >/dev/null || groupadd --system openbao-kms-socket
  getent passwd openbao-kms >/dev/null ||
    useradd --system --gid openbao-kms --no-create-home --home-dir /var/lib/openbao-kms \
      --shell /usr/sbin/nologin --comment "OpenBao KMS provider" openbao-kms
}

make_directories() {
  if command -v systemd-tmpfiles >/dev/null 2>&1; then
    systemd-tmpfiles --create openbao-kms.conf && return 0
  fi
  install -d -o root -g openbao-kms -m 0750 /etc/openbao-kms
  install -d -o root -g root -m 0755 /etc/openbao-kms/tls
  install -d -o root -g openbao-kms -m 0750 /etc/openbao-kms/client
  install -d -o root -g openbao-kms -m 0750 /etc/openbao-kms/pkcs11
  install -d -o openbao-kms -g openbao-kms -m 0750 /var/lib/openbao-kms
  # The service owns the parent and could put a link here: the directory is made with its rights, and left alone when it is there.
  if ! [ -e /var/lib/openbao-kms/state ] && ! [ -L /var/lib/openbao-kms/state ]; then
    setpriv --reuid="$(id -u openbao-kms)" --regid="$(getent group openbao-kms | cut -d: -f3)" --clear-groups \
      mkdir -m 0750 /var/lib/openbao-kms/state
  fi
  install -d -o openbao-kms -g openbao-kms-socket -m 2750 /run/openbao-kms
}
