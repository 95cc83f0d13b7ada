"""Runs Ansible's commands in a machine of test/systemd: `machine_script exec machine_dir sh -c …`."""
import subprocess

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: machine
short_description: a machine of the tests
description: Runs commands in a machine that test/systemd/machine has booted.
options:
  remote_addr:
    description: the machine's directory
    vars: [{name: machine_dir}]
  script:
    description: the script test/systemd/machine
    vars: [{name: machine_script}]
"""


class Connection(ConnectionBase):
    transport = "machine"
    has_pipelining = True

    def _connect(self):
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        command = [self.get_option("script"), "exec", self.get_option("remote_addr"), "env", "HOME=/root", "sh", "-c", cmd]
        done = subprocess.run(command, input=in_data, capture_output=True)
        return done.returncode, done.stdout, done.stderr

    def _move(self, cmd, data):
        status, out, err = self.exec_command(cmd, in_data=data)
        if status != 0:
            raise AnsibleConnectionFailure(err.decode(errors="replace"))
        return out

    def put_file(self, in_path, out_path):
        with open(in_path, "rb") as file:
            self._move(f"cat > {self._shell.quote(out_path)}", file.read())

    def fetch_file(self, in_path, out_path):
        with open(out_path, "wb") as file:
            file.write(self._move(f"cat {self._shell.quote(in_path)}", None))

    def close(self):
        pass
