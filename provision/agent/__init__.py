"""The program that runs on the host: resources and one loop. Standard library only, Python 3.10 and up."""
