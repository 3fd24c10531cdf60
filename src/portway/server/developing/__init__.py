"""`portway dev`: what the server does for whoever writes the application. Production imports none of it."""
