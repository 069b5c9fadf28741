"""Boards to deploy to: arm64 machines under qemu, and x86-64 hosts, each with a real SSH server."""
