"""The keys of a stack's settings that hold secrets."""

import re

SECRET = re.compile(
    r"((upstream-)?password|(backend-)?tls-key|hsm-pin|s3-access-key|s3-secret-key|http-secret)-[^.]+$"
    r"|(ca-key|ssh-key|ssh-key-before)$"
)
