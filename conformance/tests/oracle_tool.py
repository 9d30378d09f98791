"""A tool that knows the answers by the bytes of the bundle, and misbehaves at one of them.

python oracle_tool.py ANSWERS VICTIM BEHAVIOUR validate PATH --json
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

answers = json.loads(Path(sys.argv[1]).read_text())
victim, behaviour, operation = sys.argv[2:5]
serving = operation == "serve"
NOTHING = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def child(**options):
    """Leave a process behind, and its number where the test finds it."""
    process = subprocess.Popen(["sleep", "60"], **options)
    with Path(answers["children"]).open("a") as file:
        print(process.pid, file=file)


def forever(step):
    while True:
        step()


def noise():
    os.write(1, b'loading {"seq": \n\xff\x00{}\n[1, 2]\n')
    os.write(2, b"a warning of some library\n" * 100)


EFFECTS = {
    "abort": lambda path: os.abort(),
    "status-3": lambda path: os._exit(3),
    "status-1": lambda path: os._exit(1),
    "hang": lambda path: time.sleep(60),
    "flood": lambda path: forever(lambda: os.write(1, b"x" * 65536)),
    "flood-stderr": lambda path: forever(lambda: os.write(2, b"x" * 65535 + b"\n")),
    "noise": lambda path: noise(),
    "memory": lambda path: bytearray(3 << 30),
    "child": lambda path: child(**NOTHING),
    "child-in-session": lambda path: child(start_new_session=True, **NOTHING),
    "child-with-output": lambda path: child(),
    "writes": lambda path: path.with_name("left").write_bytes(b""),
    "changes": lambda path: path.write_bytes(b""),
    "poison": lambda path: answers.clear(),
    "closes-output": lambda path: (os.close(1), time.sleep(60)),
}
"""What is done before the answer is given."""

TEXTS = {
    "nan": lambda answer: '{"findings": NaN}',
    "deep": lambda answer: '{"findings": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "findings-no-array": lambda answer: json.dumps({**answer, "findings": {"rule": "JSN-08"}}),
    "rule-no-id": lambda answer: json.dumps({**answer, "findings": [{"rule": "bad", "place": ""}]}),
    "out-of-step": lambda answer: json.dumps({**answer, "seq": answer["seq"] + 1}),
    "no-verdict": lambda answer: json.dumps({"seq": answer["seq"]}),
}
"""What is said instead of the answer."""


def misbehave(path, answer):
    EFFECTS.get(behaviour, lambda path: None)(path)
    answer["end"] = behaviour == "ends-after-answer"
    return TEXTS.get(behaviour, json.dumps)(answer)


def answer_to(path, seq):
    key = hashlib.sha256(path.read_bytes()).hexdigest()
    answer = {**answers[key], "seq": seq}
    return answer, misbehave(path, answer) if key == victim else json.dumps(answer)


if serving:
    for line in sys.stdin:
        request = json.loads(line)
        answer, text = (
            {"end": request["cmd"] == "stop"},
            json.dumps({"seq": request["seq"], "verdict": "accept", "operations": ["validate"]}),
        )
        if request["cmd"] == "validate":
            answer, text = answer_to(Path(request["path"]), request["seq"])
        print(text, flush=True)
        if answer.get("end"):
            os._exit(9)
elif operation == "validate":
    answer, text = answer_to(Path(sys.argv[5]), 0)
    print(text)
    sys.stdout.flush()
    if behaviour == "noise":
        os.write(1, b"bye\n")
    os._exit(["accept", "reject", "unsupported"].index(answer["verdict"]))
else:
    os._exit(64)
