"""Sign-in, sessions in the browser, and access to projects."""
