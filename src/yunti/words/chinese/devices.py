"""关于机器的句子。"""

DEVICES = {
    "device.asked for": "由用户指定",
    "device.seen": "torch 检测到 {name} 设备",
    "device.no GPU": "没有找到 GPU",
}
