"""What is wrong with the data, or worth knowing, before anything is trained: each check gives findings."""
