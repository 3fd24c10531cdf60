"""What a folder holds, read without running it: its application, its files, a first portway.toml for it."""
