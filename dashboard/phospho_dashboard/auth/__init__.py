"""Access control: passwords, sign-ins, form tokens, and the projects that a visitor may read."""
