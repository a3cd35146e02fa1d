"""The other side of the benchmark: imagecorruptions-imaug, one image at a time.

Runs under the interpreter that has it installed. Reads one JSON request a line (path of an .npy file of
uint8 images [n, h, w, 3], kind, severity, repeats), answers with one JSON line: CPU seconds per image of
every repeat, or the error.
"""

import json
import sys
import time
import warnings

import cv2
import numpy as np
from imagecorruptions import corrupt

cv2.setNumThreads(1)
warnings.simplefilter("ignore")

for line in sys.stdin:
    request = json.loads(line)
    images = np.load(request["images"])
    try:
        corrupt(images[0], corruption_name=request["kind"], severity=request["severity"])
        seconds = []
        for _ in range(request["repeats"]):
            start = time.process_time()
            for image in images:
                corrupt(image, corruption_name=request["kind"], severity=request["severity"])
            seconds.append((time.process_time() - start) / len(images))
        answer: dict[str, object] = {"seconds": seconds}
    except Exception as error:  # a kind that the peer cannot run is a result
        answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    print(json.dumps(answer), flush=True)
