"""Five frames a second of the video, as the detector reads them and as a camera sends them.

`frames.rgb` has 300 x 300 x 3 bytes for each frame, one after the other; `frames.zip` has them as JPEG in the size of
the video.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import av

SIDE = 300
EVERY = 5  # of 25 frames a second
QUALITY = 85


def main() -> None:
    output = Path(os.environ["PLIMSOLL_OUTPUT"])
    with (
        av.open(os.environ["PLIMSOLL_INPUT_VIDEO"]) as video,
        (output / "frames.rgb").open("wb") as raw,
        zipfile.ZipFile(output / "frames.zip", "w") as pictures,
    ):
        for number, frame in enumerate(video.decode(video=0)):
            if number % EVERY == 0:
                image = frame.to_image()
                raw.write(image.resize((SIDE, SIDE)).tobytes())
                content = io.BytesIO()
                image.save(content, "JPEG", quality=QUALITY)
                pictures.writestr(f"{number:03d}.jpg", content.getvalue())


if __name__ == "__main__":
    main()
