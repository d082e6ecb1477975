"""The console: pages for people, made on the server. They work without scripts, and load nothing from elsewhere."""
