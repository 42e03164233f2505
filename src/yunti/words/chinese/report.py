"""报告中的句子。"""

REPORT: dict[str, str] = {}
