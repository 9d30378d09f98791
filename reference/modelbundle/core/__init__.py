"""The formats: bytes in, values out. Nothing here reads a file or imports a room above."""
