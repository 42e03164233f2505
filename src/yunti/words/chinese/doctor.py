"""数据有什么问题，或有什么值得知道。"""

DOCTOR = {
    # 无法读入的行
    "doctor.broken": "{count} 行无法读入，已单独放置（详见 quarantine.jsonl）：{file} 第 {row} 行：{reason}",
    "broken.target": "目标列 {target} 必须是数值，但{reason}",
    "broken.is": "它的值是 {value!r}",
    "broken.bytes": "这些字节无法读取（{error}）",
    "broken.no file": "文件 {file} 不存在",
    "broken.file": "{file} 无法读取（{error}）",
    "broken.silent file": "{file} 中没有采样点",
    "broken.silent": "这段声音中没有采样点",
    "broken.not a list": "{value!r} 不是数值列表",
    "broken.steps": "各时间步并非都有 {channels} 个值",
    "broken.fields": "有 {fields} 个字段，应为 {wanted} 个",
    "broken.lines": "{reason}，跨越 {lines} 行：可能有引号没有闭合",
    "broken.quote": "引号到文件末尾仍未闭合",
    "broken.byte of column": "列 {column!r} 含有无法解码的字节 0x{byte}",
    "broken.byte": "含有无法解码的字节 0x{byte}",
    "broken.JSON": "不是合法的 JSON（第 {character} 个字符处：{message}）",
    "broken.JSON line": "不是合法的 JSON（第 {line} 行第 {character} 个字符处：{message}）",
    "broken.JSON depth": "不是可读的 JSON（列表或对象嵌套过深）",
    "broken.no keys": "它是没有键的对象",
    "broken.no object": "它不是对象，而是 {text}",
    # 列
    "doctor.nested": "{column!r} 的值是嵌套类型（{nested}），无法读取",
    "doctor.empty": "{column!r} 没有任何值",
    "doctor.id": "{column!r} 是行的标识，不描述行的内容（{evidence}）",
    "doctor.constant": "{column!r} 每一行都是 {value!r}",
    "doctor.same picture": "{column!r} 每一行都是同一张图片",
    "doctor.index": "{column!r} 是行号，从 {low} 到 {high}",
    "doctor.key": "{column!r} 是主键：每一行的整数都不相同",
    "doctor.split column": "{column!r} 是现成的划分（{parts}）：可用 --split {column} 采用",
    "doctor.missing": "{column!r} 在 {rows} 行中缺失 {count} 行（{share}）",
    "doctor.missing in few": "有缺失值：{columns}（共 {rows} 行）",
    "doctor.missing in many": "有缺失值：{columns}，另有 {more} 列缺失更少（共 {rows} 行）",
    "doctor.missing column": "{column!r} 缺 {count} 个",
    "doctor.mixed": "{column!r} 有 {count} 个值不是{kind}，按缺失处理：{file} 第 {row} 行：{reason}",
    "mixed.flag": "它的两个取值之一",
    "mixed.other": "可读的值",
    "doctor.paths": "{column!r} 看起来是{kind}的路径，但 {folder} 中没有这些文件，例如 {example!r}；"
    "路径须相对于表格所在的文件夹",
    "doctor.many levels": "{column!r} 在 {rows} 行中有 {levels} 个不同的值；罕见的值提供的信息很少",
    "doctor.time": "{column!r} 给出各行的时间；如果新数据晚于这些行，用 --time {column} 测试才如实",
    "doctor.group": "{column!r} 相同的行可能同属一组（{count} 个值，每个最多 {most} 行）；"
    "--group {column} 可让它们留在划分的同一侧",
    "doctor.copy": "{column!r} 与 {original!r} 逐值对应，内容重复",
    "doctor.kept": "{finding}；按您的要求保留使用",
    "doctor.rescued": "{finding}；因为没有其他列可用，仍然使用",
    # 泄漏
    "doctor.leak": "{column!r} 泄漏了目标 {target!r}：{how}",
    "doctor.suspect": "仅凭 {column!r} 就几乎能得知目标：{how}；预测时它已知吗？",
    "leak.class": "它的每个值都只对应一个类别",
    "leak.auc": "单凭它在留出行上的 AUC 就达到 {auc}",
    "leak.r2": "单凭它在留出行上的 R² 就达到 {r2}",
    "leak.sum": "{target} = {formula}",
    "doctor.account": "{column!r} 似乎事后才能得知：它是等式 {total} = {formula} 的一项",
    # 目标
    "doctor.target missing": "{count} 行缺少目标 {target!r} 的值，已单独放置：首个是 {file} 第 {row} 行",
    "doctor.rare classes": "{count} 个类别行数太少，无法划分，只留在训练集中：{classes}",
    "doctor.many rare classes": "{count} 个类别行数太少，无法划分，只留在训练集中：{classes}，另有 {more} 个",
    "doctor.imbalance": "{share} 的行属于类别 {name!r}：准确率说明不了多少；请用 --metric balanced_accuracy "
    "或 macro_f1 评判",
    # 重复的行
    "doctor.chance copies": "{count} 行的输入与之前的某一行相同；输入的不同取值很少，这只是巧合，划分时可以分开",
    "doctor.duplicates": "{count} 行与之前某一行的输入重复：首个是 {file} 第 {row} 行，与第 {earlier} 行相同",
    "doctor.duplicates across": "{count} 行与之前某一行的输入重复：首个是 {file} 第 {row} 行，"
    "与 {other} 第 {earlier} 行相同",
    "doctor.near duplicates": "{count} 行与之前某一行几乎相同：首个是 {file} 第 {row} 行，近似第 {earlier} 行",
    "doctor.together": "{finding}；它们留在划分的同一侧",
    "doctor.conflicts": "{count} 组行输入相同而目标不同：{file} 第 {row} 行是 {name!r}，第 {earlier} 行是 {other!r}",
    "doctor.crossing": "{count} 行验证或测试数据与训练集的行相同或几乎相同：分数会偏高",
    # 划分
    "doctor.unseen class": "训练集之外的 {count} 行已单独放置：它们的类别（{classes}）在训练集中没有",
    "doctor.few groups": "按 {column} 划分后，只有 {valid} 组用于选择、{test} 组用于测试："
    "换成其他组，分数的变化可能超出置信区间",
    "doctor.no validation": "没有剩下验证集的行",
    "doctor.no test": "没有剩下测试集的行",
}
