"""Write each question of perlfaq with its answer as a row of faq.csv, from Debian's package perl-doc."""

import csv
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SECTION = re.compile(r"^=head2 (.*?)\n(.*?)(?=^=head|\Z)", re.MULTILINE | re.DOTALL)
WORD = re.compile(r"[A-Za-z0-9]+")


def pages(scratch):
    """The files of perlfaq: those of this machine, or those of the package."""
    installed = sorted(Path("/usr/share/perl").glob("*/pod/perlfaq[1-9].pod"))
    if installed:
        return installed
    for command in (["apt-get", "download", "-q", "perl-doc"], ["sh", "-c", "dpkg -x perl-doc_*.deb perl-doc"]):
        ended = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if ended.returncode != 0:
            sys.exit(f"the package perl-doc of Debian cannot be had: {ended.stderr.strip()[-300:]}")
    return sorted(Path(scratch).glob("perl-doc/usr/share/perl/*/pod/perlfaq[1-9].pod"))


def plain(text):
    """Text without POD's marks: C<code> becomes code, E<gt> becomes >."""
    text = re.sub(r"^X<.*>$", "", text, flags=re.MULTILINE)
    text = re.sub(r"E<(lt|gt)>", lambda match: {"lt": "<", "gt": ">"}[match[1]], text)
    for _ in range(3):
        text = re.sub(r"L<([^<>|]*)\|[^<>]*>", r"\1", text)
        text = re.sub(r"[A-Z]<+ ?([^<>]*?) ?>+", r"\1", text)
    return re.sub(r"^=\w+.*\n?", "", text, flags=re.MULTILINE).strip()


def slug(page, question):
    return f"{page.stem}/{'-'.join(WORD.findall(question)[:8]).lower()}"


with tempfile.TemporaryDirectory() as scratch:
    rows = [
        (slug(page, plain(heading)), plain(heading), plain(body))
        for page in pages(scratch)
        for heading, body in SECTION.findall(page.read_text(encoding="utf-8", errors="replace"))
        if plain(body)
    ]
with open(os.path.join(os.environ["PLIMSOLL_OUTPUT"], "faq.csv"), "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    writer.writerow(["id", "question", "text"])
    writer.writerows(rows)
print(f"{len(rows)} questions")
