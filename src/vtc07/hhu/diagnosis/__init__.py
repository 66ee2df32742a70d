"""What is wrong with a meter, and why it refused a token, told without keys."""
