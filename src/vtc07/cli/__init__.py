"""The command line ``vtc07`` (docs/cli.md)."""
