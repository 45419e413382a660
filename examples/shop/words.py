"""The words of the shop: what it sells, for what, and how texts speak of what a product is like."""

# What is sold, and the materials that it can be made of.
KINDS = {
    "rain jacket": ["waxed cotton", "recycled nylon", "three-layer membrane"],
    "fleece": ["merino wool", "brushed polyester", "boiled wool"],
    "trekking trousers": ["stretch polyamide", "hemp canvas", "organic cotton"],
    "hiking boots": ["full-grain leather", "suede and mesh", "woven polyester"],
    "tent": ["silicone nylon", "polycotton", "ripstop polyester"],
    "sleeping bag": ["goose down", "hollow fibre", "wool fill"],
    "backpack": ["cordura", "waxed canvas", "spinnaker cloth"],
    "camping stove": ["titanium", "brass", "stainless steel"],
    "head torch": ["aluminium", "moulded plastic", "magnesium alloy"],
    "water bottle": ["stainless steel", "borosilicate glass", "soft silicone"],
    "gloves": ["goatskin", "merino wool", "windproof softshell"],
    "sleeping mat": ["closed-cell foam", "inflatable nylon", "natural cork"],
}

# What somebody is out for on one visit; the kinds that belong to it.
ERRANDS = [
    ["rain jacket", "trekking trousers", "hiking boots"],
    ["tent", "sleeping bag", "sleeping mat"],
    ["fleece", "gloves", "rain jacket"],
    ["camping stove", "water bottle", "head torch"],
    ["backpack", "water bottle", "hiking boots"],
    ["sleeping bag", "head torch", "fleece"],
]

# What a product is like and what a visitor likes: each axis from one end to the other. A text has one of the phrases.
AXES = {
    "weight": (
        ["hardly noticed in the hand", "pared to the last gram", "among the lightest of its kind", "featherweight"],
        ["built like a tank", "heavy-duty throughout", "made to be handed down", "good for years of hard use"],
    ),
    "weather": (
        ["for bright summer days", "airy in the heat", "happiest under a blue sky", "dry again after minutes of sun"],
        ["made for weeks of drizzle", "untroubled by storms", "tight against sleet and wind", "at home in wet valleys"],
    ),
    "warmth": (
        ["cool even in August", "thin on purpose", "for tropical nights", "open to every breeze"],
        ["for frosty mornings", "warm far below zero", "cosy on winter nights", "lined to keep the cold at bay"],
    ),
    "look": (
        ["in quiet greys and browns", "without a logo anywhere", "plain and unobtrusive", "in muted earthy tones"],
        ["in loud neon stripes", "seen from the next hill", "in cheerful bright colours", "with a bold pattern"],
    ),
    "pace": (
        ["for unhurried Sunday walks", "comfortable for hours of sitting", "for easy strolls", "soft and forgiving"],
        ["for runners and racers", "made for fast ascents", "cut close for speed", "for sporty days against the clock"],
    ),
    "company": (
        ["for one person alone", "small enough for solo trips", "for quiet weekends by yourself", "made for loners"],
        ["for the whole family", "loved by children", "roomy enough to share", "for outings with friends"],
    ),
}

# An axis that no text speaks of: what is in fashion this year.
UNSAID = "vogue"

MAKERS = ["Alderwick", "Bramble", "Corrie", "Dunmore", "Eskdale", "Fennick", "Garrow", "Hollin", "Islay", "Jarrow"]
MODELS = [
    "Aster", "Birch", "Cinder", "Drift", "Ember", "Falcon", "Gannet", "Heath", "Ibis", "Juniper", "Kestrel", "Linnet",
    "Merlin", "Nettle", "Osprey", "Plover", "Quartz", "Rowan", "Sorrel", "Tarn", "Umber", "Vesper", "Willow", "Yarrow",
    "Zephyr",
]
