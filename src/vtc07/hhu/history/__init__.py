"""What passes between unit and meter: written down as it happens, shown as a sequence."""
