"""Asks the service of the shop: searches, sentences of the language model, and answers of the clerk."""

import json
import re
import sys
import urllib.error
import urllib.request

URL = "http://127.0.0.1:8472"  # the port that plimsoll.yaml gives
LITTLE = {"a", "an", "and", "are", "for", "has", "in", "is", "it", "of", "on", "that", "the", "they", "this", "with"}


def search(query, top, url=URL):
    """Products by their id with scores, those whose texts mean most nearly the same first."""
    found = ask(f"{url}/v2/indexes/catalogue/search", {"query": query, "top": top})
    return {hit["id"]: hit["score"] for hit in found["hits"]}


def write(prompt, tokens, stop, url=URL):
    """What the language model writes, without chance."""
    body = {"model": "writer", "messages": [{"role": "user", "content": prompt}], "temperature": 0}
    told = ask(f"{url}/v1/chat/completions", {**body, "max_tokens": tokens, "stop": stop})
    return (told["choices"][0]["message"]["content"] or "").strip()


def reason(title, product, text, url=URL):
    """The clerk's first sentence that says no more than a product's own text; without one, the text's first."""
    body = {"model": "clerk", "messages": [{"role": "user", "content": f"What is the {title} like?"}]}
    told = ask(f"{url}/v1/chat/completions", body)["plimsoll"]
    own = {each["number"] for each in told["passages"] if each["id"] == product}
    for sentence in told["sentences"]:
        stands = sentence["verdict"] == "supported" and own & set(sentence["passages"])
        # Support allows for other words, of which one may be an invented praise; in a shop none may.
        if stands and words_of(sentence["text"]) <= words_of(text) | LITTLE:
            return sentence["text"].strip()
    return text.partition(". ")[0] + "."


def words_of(text):
    return set(re.findall(r"[a-z0-9-]+", text.lower()))


def ask(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.read().decode(errors='replace')[:300]}")
    except OSError as error:
        sys.exit(f"{url}: {error}. Bring the service up with: plimsoll up")
