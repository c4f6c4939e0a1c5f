"""What the demo's sessions are about: titles, requests and research notes, all made up from a seed."""

from __future__ import annotations

from random import Random

SUBJECTS = (
    "cast-iron pans", "carbon-steel woks", "chef's knives", "Dutch ovens", "pressure cookers",
    "sourdough starters", "pizza stones", "moka pots", "pour-over drippers", "kitchen scales",
    "induction hobs", "end-grain boards", "stand mixers", "rice cookers", "pepper mills",
    "copper saucepans", "fermentation crocks", "probe thermometers", "mandolines", "bread tins",
    "waffle irons", "paring knives", "air fryers", "stovetop kettles", "silicone mats", "spice grinders",
)  # fmt: skip

TITLES = {
    "howto": (
        "How to clean {s} without ruining them",
        "How to choose {s} that last twenty years",
        "How to get started with {s}",
        "How to repair old {s} at home",
        "How to store {s} in a small kitchen",
        "How to test {s} before you buy",
    ),
    "listicle": (
        "{n} mistakes that shorten the life of {s}",
        "{n} recipes that show what {s} can do",
        "{n} things to check before you buy {s}",
        "{n} gifts for people who love {s}",
        "{n} uses for {s} that nobody told you about",
    ),
    "news": (
        "What the new labelling rules mean for {s}",
        "Why {s} are cheaper this season",
        "A recall of {s}: what customers should do",
        "Repair cafes take on {s}",
    ),
    "opinion": (
        "Why we stopped selling cheap {s}",
        "The case for second-hand {s}",
        "Nobody needs three sets of {s}",
        "We were wrong about {s}",
    ),
}

REQUESTS = (
    "Please write a post: {title}. {words} words or so. {ending}",
    'We need "{title}" for the blog, around {words} words. {ending}',
    "Can you take this one? {title}. Aim for {words} words. {ending}",
    "Next on the calendar: {title} ({words} words). {ending}",
)
ENDINGS = {
    "keep_draft": "Leave it as a draft, I want to read it first.",
    "push_to_ghost": "Put it into Ghost when it is ready.",
    "schedule_post": "Put it into Ghost and schedule it for later this week.",
}
CHANGES = (
    "shorten the introduction",
    "add a sentence about safety",
    "make the second section less technical",
    "move the table to the end",
    "use simpler words in the steps",
    "add one example from the test kitchen",
    "drop the last paragraph",
    "explain the price difference",
)
COMPLAINTS = (
    "That is not what I asked for.",
    "This still reads like an advertisement.",
    "Half of this is wrong, I have to redo it.",
    "You changed the part that was fine.",
)

_FINDINGS = (
    "In a panel of {n} home cooks, {p} % said they had given up on {s} within the first year.",
    "The most common complaint about {s} is uneven heat or wear, named by {p} % of owners.",
    "A consumer group tested {m} models of {s} and found no link between price and lifetime.",
    "Owners who followed the care instructions kept {s} for {m} years on average, the others for {k}.",
    "Returns of {s} to our own shop fell from {p} to {k} per thousand after we added a care card.",
    "Three of the five sources warn against the dishwasher; detergent shortens the life of {s} by a third.",
    "Weight matters more than brand: readers who chose {s} by hand were happier in {p} % of the cases.",
    "The second-hand market for {s} grew by {p} % in two years, mostly through local repair groups.",
    "Test-kitchen note {n}: after {m} weeks of daily use the difference was visible, yet not measurable.",
    "Energy use differs by {k} % between the best and the worst of the {m} products that were compared.",
    "Most guides repeat the advice to preheat {s} for ten minutes; our own trial needed only {k}.",
    "Two sources disagree on cleaning: one recommends coarse salt, the other warm water and patience.",
    "Prices range from {m} to {n} pounds, and the middle third covers what a household of four needs.",
    "The oldest source is from {year}, and its figures should be quoted with the year beside them.",
    "Beginners ask about size first; experienced cooks ask who repairs {s} and how long parts are kept.",
    "A survey of {n} restaurants found {s} in {p} % of kitchens, usually bought from the trade.",
    "Handles and lids fail before anything else, and spare parts are offered by {k} of {m} makers.",
    "Safety reports list {k} incidents in {m} years, all of them from use outside the instructions.",
    "For small kitchens the experts advise a single good size, because two thirds of all {s} lie idle.",
    "Left dry after washing, {s} last longer; {p} % of the damage starts with water that stood overnight.",
)  # fmt: skip
_CLOSINGS = (
    "Nothing here is a health claim.",
    "All figures are for home use, not for the trade.",
    "The sources were read this week; two of them are paywalled.",
    "Quote the survey with its size, because the sample is small and local.",
    "The last two points rest on one source each and should be softened in the draft.",
    "No source covers rented kitchens, so the draft should not promise anything about them at all.",
    "Until a reader survey of our own settles the open points, the draft should say that we do not know yet.",
)

RESEARCH_CHARACTERS = 1_905


def title(random: Random, category: str, subject: str) -> str:
    text = random.choice(TITLES[category]).format(s=subject, n=random.randint(5, 9))
    return text[0].upper() + text[1:]


def request(random: Random, title: str, words: int, ending: str) -> str:
    return random.choice(REQUESTS).format(title=title, words=words, ending=ENDINGS[ending])


def research_notes(random: Random, title: str, subject: str) -> str:
    """Notes of about `RESEARCH_CHARACTERS` characters (within 60), different for each random state."""
    text = f"Notes on: {title}."
    for finding in random.sample(_FINDINGS, len(_FINDINGS)):
        sentence = finding.format(
            s=subject,
            n=random.randint(120, 900),
            p=random.randint(21, 68),
            m=random.randint(9, 19),
            k=random.randint(3, 8),
            year=random.randint(2014, 2023),
        )
        if len(text) + len(sentence) > RESEARCH_CHARACTERS - 35:
            break
        text = f"{text} {sentence}"
    missing = RESEARCH_CHARACTERS - len(text) - 1
    return f"{text} {min(_CLOSINGS, key=lambda closing: abs(len(closing) - missing))}"
