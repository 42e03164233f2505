"""What a larger training will bring, said before it is paid for."""
