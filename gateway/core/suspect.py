"""Words that may mean STOP although they are no keyword, and words of ours that invite a keyword by mistake.

A person may take back consent in any reasonable way (47 CFR 64.1200(a)(10)); the provider hears single words only.  In
a shop, "stop" is also what brakes do: so the phrases of both kinds stand here as data, as keyword.spoken has them.
"""

from __future__ import annotations

import re

from gateway.core.keyword import keyword, spoken

_SHORT = 8  # words up to which a bare "stop" tells
_LONG = 30  # words beyond which only an unmistakable phrase tells

_TEXTS = (
    r"(?:(?:all|any|more|the|these|this|those|that|your|ur|my|me|us|with|automated|annoying|of) ){0,4}"
    r"(?:texts?|texting|txts?|messages?|messaging|msgs?|sms|spam|spamming|notifications?|alerts?|reminders?)"
)
_ME = r"(?:me|us|this (?:number|phone)|my (?:number|phone|cell))"
_LATER = r"(?! (?:until|till|before|unless|when|while|during|at work|pictures|photos))"  # "don't text me until five"

_FOR_TEXTS = r"(?:\w+ ){0,2}(?:texts?|messages?|reminders?|notifications?|alerts?|ads?|offers?|promotions?)"
_LIST = rf"lists?(?! for (?!{_FOR_TEXTS}))"  # not "the list for the oil change"
_FILED = r"(?! (?:of|on(?! file)|in(?! your))\b)"  # "the wrong number of tires", "on my plate"
_ELSEWHERE = r"(?! (?:from|off) (?:(?:the|your|my|our) )?(?:voice ?mail|invoices?|receipts?|estimates?|website|cards?))"

# Whatever else the text says, these mean it.
_UNMISTAKABLE = (
    rf"(?:sto+p+|quit|cease|discontinue|end|cancel|no more) {_TEXTS}",
    rf"(?:stop|quit|cease) (?:sending|contacting|bothering|harassing|spamming) (?:me|us|my|this|these|{_TEXTS})",
    rf"(?:stop|quit) (?:getting|receiving) {_TEXTS}",
    rf"(?:dont|do not|never|(?<!you )no longer)(?: ever)? (?:text|txt|message|msg|contact|sms) {_ME}{_LATER}",
    rf"(?:dont|do not|never|(?<!you )no longer)(?: ever)? send {_TEXTS}{_LATER}",
    rf"(?:dont|do not|no longer) (?:want|wish|need)(?: to (?:get|receive|have))? {_TEXTS}",
    rf"(?:dont|do not|no longer) (?:want|wish|like) to be (?:texted|messaged|contacted|spammed){_LATER}",
    r"(?:dont|do not) (?:want|wish|need) to (?:get|receive) (?:these|those|this|them) (?:any ?more|any longer)",
    r"no longer (?:want|wish) to (?:get|receive) (?:these|those|this|them)",
    r"(?:take|get|remove|delete|drop) (?:me|us|my (?:name|number|phone)|this (?:number|phone)) (?:off|from|out of)"
    rf" (?:of )?(?:\w+ ){{0,3}}(?:{_LIST}|texts?|messages?|msgs|system|database|reminders|notifications|alerts)",
    rf"(?:remove|delete|lose|erase) (?:my|this) (?:cell |phone )?(?:number|phone)\b{_ELSEWHERE}",
    r"unsub|unsubs?cri\w+|unsus?cri\w+",
    rf"(?:have|got|text|texting|texted|is|its|thats|reached) (?:the |a )?wrong (?:phone )?(?:number|person)\b{_FILED}",
    r"no me (?:escrib|textee|contact|molest)\w+",
    r"no me (?:mand|envi)\w+ (?:mas|mensajes|textos|nada)",
    r"(?:no mas|no quiero(?: mas)?|no deseo(?: mas)?|basta de) (?:mensajes|textos|sms)",
    r"(?:deja|deje|dejen|para|pare|paren) de (?:escrib|mand|envi|molest|textea|contact)\w+",
    r"(?:dar|den|de|da)me de baja",
    r"(?:quita|quite|quiten|borra|borre|borren|saca|saque|saquen)(?:r)?me de (?:la|su|esta|tu) lista",
    r"arrete[rz]? de (?:m(?:e )?(?:envoyer|ecrire|texter|contacter)|nous)",
    r"arrete[rz]? (?:les |ces |vos )?(?:textos|messages|sms)",
    r"ne (?:m(?:e )?)(?:ecrivez|envoyez|textez|contactez) (?:plus|pas)",
    r"(?:plus de|plus recevoir de|plus aucun) (?:messages?|textos?|sms)",
    r"(?:desabonne|desinscri|desinscriv)\w*",
)

# Clear in a text of up to 30 words.
_CLEAR = (
    r"(?:stop|quit|cease) (?:sending|calling|contacting|bothering|harassing)",
    rf"(?:dont|do not|never) (?:call|bother|write)(?: or (?:text|call))? {_ME}{_LATER}",
    rf"(?:dont|do not|never) (?:text|txt|message)(?: {_ME})? (?:again|anymore|any more|any longer)",
    r"(?:dont|do not|never) (?:text|txt)$",
    r"(?:take|get) (?:me|us|my number) off(?! (?:(?:the|your|my) )?(?:schedule|calendar|appointment|books|hold|"
    rf"(?:wait(?:ing)? )?list for (?!{_FOR_TEXTS})))",
    r"remove (?:me|us)(?! from (?:the|your) (?:schedule|calendar|appointment|waitlist|waiting|"
    rf"list for (?!{_FOR_TEXTS})))",
    r"opt (?:me |us )?out(?! of (?!(?:\w+ ){0,2}(?:texts?|messages?|sms|msgs|this|it|reminders)))",
    r"wrong (?:phone )?(?:number|person)\b(?! (?:of|on(?! file)|for|in(?! your)|is|was)\b)",
    r"(?:not|isnt|no longer) (?:my|his|her|their) (?:number|phone|cell)(?! (?:is|was))",
    r"leave (?:me|us) alone",
    r"numero equivocado",
    r"mauvais numero",
    r"(?:retirez|enlevez|supprimez) (?:moi|mon numero)",
)

# Alone, or with no other words than _POLITE.
_ALONE = (
    "quit", "end", "remove", "revoke", "cease", "halt", "enough", "no more", "alto", "basta", "baja", "parar", "pare",
    "paren", "arret", "arreter", "arretez", "arrete",
)  # fmt: skip
_POLITE = frozenset((
    "please", "pls", "plz", "ok", "okay", "just", "now", "it", "this", "that", "i", "said", "already", "thanks",
    "thank", "you", "ty", "sir", "hey", "hi", "hello", "all", "everything", "immediately", "asap", "por", "favor",
    "gracias", "ya", "esto", "hola", "merci", "svp", "sil", "vous", "plait", "te", "tout", "bonjour", "maintenant",
))  # fmt: skip

_BARE = r"sto+p+"

# A bare "stop" in these is a word of the trade.  Removed before it is looked for.
_BENIGN = (
    r"stop (?:by|in|over|off|on|and|there|here|work|between|before|after|around|later|tomorrow|tonight)",
    r"stop (?:at(?! once)|for(?! good| ever)|it from|all (?:work|repairs?|orders?))",
    r"stop (?:the|my|our|a|an|his|her|any|that|this) (?!madness|nonsense|now|please|pls|right|already|or)\w+",
    r"stop (?:looking|waiting|working|making|leaking|running|searching|driving|charging|shaking|squealing)",
    r"stop (?:signs?|lights?|leak|payment|loss|watch|valve|order|start|and go)",
    r"(?:bus|truck|pit|rest|full|next|last|first|one|quick|door|hard|dead|short|complete|non|gas|emergency|start) stop",
    r"(?:will|would|does|did|can|could) (?:it|they|he|she|the \w+) (?:\w+ )?stop",
    r"(?:ill|id|well|we|i|he|she|they|it|to|must|might|should|could|may|will|going|gonna|wanna|lets|let me) stop",
    r"(?:where|when|should|can|could|may|shall|do) (?:do |should )?(?:i|we|they|he|she) stop",
    r"(?:where|when|time|day) (?:do|did|will) you stop",
)
# Never benign: "I asked you to stop".
_BEGGED = r"(?:you|this|it|them|how|like|want|wish|these) to sto+p+(?! (?:\w+ing|by|in|over|at|for|and|the|my)\b)"
_NEGATED = (
    r"(?<!you )(?<!can )(?<!why )(?:dont|do not|doesnt|does not|didnt|did not|wont|will not|cant|cannot|can not|"
    r"wouldnt|couldnt|never|not|isnt|without) (?:to )?(?:\w+ly )?sto+p+(?:ing)?"
)


def _any(phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b")


_SURE, _PLAIN, _HARMLESS = _any(_UNMISTAKABLE), _any(_CLEAR), _any(_BENIGN)
_OPPOSITE, _ASKED, _WORD = _any((_NEGATED,)), _any((_BEGGED,)), _any((_BARE,))


def suspected(text: str) -> str:
    """The phrase by which `text` looks like a STOP, "" when it does not, and when it is a keyword anyway.

    Texts of up to 8 words tell by a bare "stop" that no phrase of the trade explains, up to 30 words by a clear
    phrase, longer ones by an unmistakable one only.  English, and the basics of Spanish and French.
    """
    if keyword(text) is not None:
        return ""
    said = _OPPOSITE.sub("|", spoken(text))
    words = said.split()
    found = _SURE.search(said)
    if found is None and len(words) <= _LONG:
        found = _PLAIN.search(said)
    if found is None and len(words) <= _SHORT:
        found = _ASKED.search(said) or _WORD.search(_HARMLESS.sub("|", said))
    if found is not None:
        return found[0]
    alone = " ".join(word for word in words[: _SHORT + 1] if word not in _POLITE)
    return alone if alone in _ALONE and len(words) <= _SHORT else ""


_ASKS = frozenset((
    "reply", "replying", "respond", "responding", "text", "texting", "txt", "answer", "answering", "send",
    "sending", "type", "typing",
))  # fmt: skip
_BETWEEN = frozenset(("back", "with", "the", "word", "us", "a", "just", "simply", "either", "message", "by"))
_SENTENCE = re.compile(r"[^.!?\n]+")
_TOKEN = re.compile(r"[\w'-]+|[,/\"]")
_PURPOSES = {
    "stop": frozenset((
        "opt", "optout", "out", "unsubscribe", "texts", "txts", "messages", "msgs", "sms", "alerts",
        "notifications", "reminders", "receiving", "subscription", "list",
    )),
    "start": frozenset((
        "opt", "subscribe", "resubscribe", "resume", "texts", "messages", "msgs", "sms", "alerts", "updates",
        "receive", "join",
    )),
    "help": frozenset((
        "help", "info", "information", "support", "assistance", "questions", "terms", "contact",
    )),
}  # fmt: skip
_ENOUGH = frozenset(("STOP", "UNSUBSCRIBE", "STOPALL", "OPTOUT", "OPT-OUT", "REVOKE", "START", "UNSTOP", "HELP"))
_STOPPING = frozenset(("to", "2", "stop", "end", "quit", "cancel", "at", "any", "time", "anytime"))  # "STOP to end"


def invited(text: str) -> tuple[str, ...]:
    """The keywords that a text of ours asks people to answer although they do something else, as in the lists.

    "Reply CANCEL to cancel your visit" opts a customer out.  STOP, START and HELP words named for what they do are
    not among them; each word comes once, in the order of the text, of which 2,000 characters are looked at.
    """
    found: dict[str, None] = {}
    for sentence in _SENTENCE.finditer(text[:2_000]):
        found |= dict.fromkeys(_invited(_TOKEN.findall(sentence[0])))
    return tuple(found)


def _invited(tokens: list[str]) -> list[str]:
    """The keywords of one sentence that are asked for and not used as such."""
    shouted = all(not token.islower() for token in tokens if token.isalpha())
    offered = _offers(tokens, shouted=shouted)
    ends = [at for at, _ in offered][1:] + [len(tokens)] * bool(offered)
    return [
        word
        for (at, word), end in zip(offered, ends, strict=True)
        if not _as_meant(word, [token.lower() for token in tokens[at + 1 : end] if token[0].isalnum()])
    ]


def _offers(tokens: list[str], *, shouted: bool) -> list[tuple[int, str]]:
    """Where a keyword is offered as an answer, and which: right after "reply", in a list of such, in quotes, or
    in capitals where not all is."""
    offers: list[tuple[int, str]] = []
    asked = expected = listed = False
    for at, piece in enumerate(tokens):
        lower = piece.lower()
        word = keyword(piece)
        quoted = tokens[at - 1 : at] == ['"']
        if word is not None and asked and (expected or quoted or (piece.isupper() and not shouted)):
            offers.append((at, word.word))
            expected, listed = False, True
        elif lower in _ASKS:
            asked = True
            expected = listed = lower not in ("send", "sending")
        elif piece in (",", "/") or lower == "or":
            expected = listed
        elif piece != '"' and lower not in _BETWEEN:
            listed = expected  # "reply C or cancel": an answer that is no keyword
            expected = False
    return offers


def _as_meant(word: str, purpose: list[str]) -> bool:
    """Whether `purpose`, the words after a keyword, is what the keyword does."""
    known = keyword(word)
    meant = _PURPOSES[known.action] if known else frozenset()
    said = [w for w in purpose if w not in ("or", "and")]
    if not said:
        return word in _ENOUGH
    return not meant.isdisjoint(said) or (word == "STOP" and _STOPPING.issuperset(said))
