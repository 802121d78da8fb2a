"""A few invented documents, and what may go wrong with documents among them."""

QUESTION = "In which town was the designer of the Halden Lighthouse born?"
EMOJI = "🏔️🌊 𝔄 note on heights. "
"""Characters of two halves in JavaScript, before a sentence that is to be marked."""

HOSTILE = "<img src=x onerror=\"document.title='stolen'\"><script>document.title='stolen'</script> & <b>bold</b>"

DOCUMENTS = [
    (
        "lighthouse",
        "Halden Lighthouse",
        "The Halden Lighthouse stands on Cape Orr. It was designed by Mira Tolvane in 1902.",
    ),
    (
        "tolvane",
        "Mira Tolvane",
        "Mira Tolvane was an engineer. She was born in the town of Sundsby in 1871, and drew nine lighthouses.",
    ),
    ("sundsby", "Sundsby", "Sundsby is a town of weavers on the river Lio. Its market is held on Thursdays."),
    ("orr", "Cape Orr", "Cape Orr is a headland. Fog hides the Halden Lighthouse there for ninety days of the year."),
    ("lio", "River Lio", "The River Lio rises in the Grey Hills and runs through Sundsby to the sea."),
    (
        "bell",
        "Bell of Sundsby",
        "The Bell of Sundsby was cast in 1650. It cracked in the great frost and was cast again.",
    ),
    ("peak", "Mount Vessel", EMOJI + "Mount Vessel is 2,114 metres high. Its glacier feeds the River Lio."),
    ("hebrew", "מגדלור", "המגדלור של חיפה נבנה בשנת 1864. הוא עומד על הר הכרמל ומשקיף אל הים."),
    ("hostile", HOSTILE, f"A document on zither strings that carries markup. {HOSTILE} It is only text."),
    (
        "long",
        "Log of the keeper",
        "\n\n".join(
            f"On day {day} the keeper lit the lamp at dusk, oiled the clockwork and wrote {day} lines on the weather."
            + (" That night a walrus slept on the jetty." if day == 240 else "")
            for day in range(1, 301)
        ),
    ),
]
