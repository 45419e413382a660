"""A new work order, and the past ones that are like it: python similar.py "bucket cylinder leaking".

The service of the logbook finds them. They vote for where the order belongs, for its cause and for its remedy, each as
much as it is like the new one.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request

from voting import booked, ranked, tagged, vote

URL = "http://127.0.0.1:8471"  # the port that logbook.yaml gives
NEAREST, POWER = 60, 8  # as figures.py chooses them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("order", help="what the mechanic has written")
    parser.add_argument("--shown", type=int, default=3, help="past orders that are printed")
    parser.add_argument("--url", default=URL)
    given = parser.parse_args()
    hits = search(given.order, NEAREST, url=given.url)
    if not hits:
        sys.exit("no past order has anything of it; write what is broken, and where")
    for title, says in (("belongs to", booked), ("cause", tagged("cause")), ("remedy", tagged("remedy"))):
        shares = vote(hits, NEAREST, POWER, says)
        told = ", ".join(f"{value} {shares[value]:.0%}" for value in ranked(shares)[:3] if shares[value] >= 0.01)
        print(f"{title + ':':<12}{told or 'none of the past orders says'}")
    for hit in hits[: given.shown]:
        about = hit["metadata"]
        told = " · ".join(filter(None, (about["booked"], about["cause"], about["remedy"], f"{about['cost']} AUD")))
        print(f"  {hit['score']:.2f}  {about['date']}  excavator {about['asset']}  {hit['text']}\n        {told}")


def search(text: str, top: int, mode: str | None = None, url: str = URL) -> list[dict]:
    """Past orders, those that are most like the text first."""
    body = {"query": text, "top": top, **({"search": mode} if mode else {})}
    request = urllib.request.Request(
        f"{url}/v2/indexes/logbook/search", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["hits"]
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.read().decode(errors='replace')[:300]}")
    except OSError as error:
        sys.exit(f"{url}: {error}. Bring the logbook up with: plimsoll up -f logbook.yaml")


if __name__ == "__main__":
    main()
