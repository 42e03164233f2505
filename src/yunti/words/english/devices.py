"""What is said about the machine."""

DEVICES = {
    "device.asked for": "asked for",
    "device.seen": "torch sees a {name} device",
    "device.no GPU": "no GPU was found",
}
