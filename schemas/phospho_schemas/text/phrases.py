"""
Phrases by which people and assistants do something, as patterns of RE2 in English, to be read in any case.

What somebody does with words (refuse, apologize, insult) is told by such phrases better than by meaning. The ready
definitions are made of them, and the semantic engine knows them beside a description that names such an act.
"""

from __future__ import annotations

_CANNOT = (
    r"(?:can['’]?t|cannot|could(?:n['’]t| not)|won['’]?t|will not|not able to|unable to|not going to|must decline to"
    r"|have to decline|must refuse to|(?:respectfully |politely )?(?:decline|refuse) to)"
)
_REFUSED = (
    r"(?:help|assist|fulfil+|provide|answer|comply|share|discuss|engage|satisfy|support|endorse|condone|promote"
    r"|generate|create|write|offer|give|participate|do that|do this|suggest|recommend|encourage|facilitate|advise"
    r"|respond|complete|agree|explain|that\b)"
)
REFUSAL = (
    r"\bI(?:['’]m| am)? ?(?:sorry|afraid),?(?: but)?(?: as an AI[^.,]{0,40},)? "
    r"(?:I )?(?:can['’]?t|cannot|won['’]?t|am (?:not able|unable) to|(?:do not|don['’]?t) feel comfortable)",
    rf"\bI(?:['’]m| am)? (?:also |simply |really |just |still |therefore )?{_CANNOT} ?{_REFUSED}",
    r"\bI (?:have to|must|would have to|need to|['’]d have to) (?:politely |respectfully )?(?:decline|refuse|pass on)",
    r"\b(?:it(?:['’]s| is| would be)|that(?:['’]s| is| would be)) (?:not|never|neither|in)(?: ethically| morally)? ?"
    r"(?:appropriate|ethical|acceptable|right|okay|ok|legal|safe)(?:[, ]+(?:and|or|nor)[a-z ]{1,40})? (?:for me )?to "
    r"(?:provide|discuss|ask|seek|make|use|suggest|give|share|recreate|promote|encourage|imply|write|try|generalize"
    r"|perpetuate|create|deny|celebrate|harm|engage|support|advocate|kill|hurt|steal|eliminate|exclude|prohibit"
    r"|discriminate|treat|judge|assume|stereotype|have)",
    r"\b(?:that|this|it|which|(?:your|the) request) (?:goes|is|would be|would go) against "
    r"(?:my|our|the) (?:guidelines|rules|policy|policies|programming|principles|terms|ethical)",
    r"\b(?:not|n['’]t) (?:within|in line with|part of) my (?:programming|guidelines|ethical|capabilit|abilit|scope)",
    r"\bI (?:don['’]?t|do not) (?:think|believe|feel)(?: that)? (?:it(?:['’]s| is| would be) )?"
    r"(?:appropriate|ethical|right|comfortable)",
    r"\bmy rules (?:keep|prevent|forbid|do not|don['’]t)",
    r"\bthat(?:['’]s| is) (?:not )?something (?:that )?I (?:don['’]?t|do not|can['’]?t|cannot|won['’]?t|can)\b",
    r"\blet['’]?s (?:talk about something else|change the (?:subject|topic))",
)
APOLOGY = (r"\b(my apologies|I apologi[sz]e|sorry (about|for) (that|the|this|any)|you(['’]re| are) right, I)",)
ASKS_CONFIRMATION = (
    r"\b(?:please|could you|can you|would you|kindly)(?: please)?(?: once again)? "
    r"(?:confirm|verify|check (?:that|the|if))",
    r"\b(?:just )?to (?:confirm|double[- ]check)\b|^\W*confirm\b",
    r"\b(?:is|are|does|would) (?:that|this|it|these|those|everything|the (?:above|following|details?|information))"
    r"(?: information| details?| all| look| sound)* (?:correct|right|okay|ok|accurate)(?: for you| with you)?\?",
    r"\b(?:correct|right|is (?:this|that) what you want|yes)\?\s*$",
    r"\b(?:let me|I(?:['’]ll| will| want to| just want to| need to)) (?:just )?(?:confirm|verify|double[- ]check)",
)
ADVICE = (
    r"\byou (?:could|should|might (?:want|try|consider|like)|may want|need to|ought to|['’]d better)\b",
    r"\byou can (?:also )?(?:try|always|start|ask|talk|look)\b",
    r"\bhave you (?:ever )?(?:tried|considered|thought (?:about|of)|talked|spoken|looked into|asked)\b",
    r"\b(?:perhaps|maybe) (?:you|try|it (?:would|might)|a|consider|write|take|talk|go|start|ask|get)\b",
    r"\b(?:try|consider) (?:to|not|[a-z]+ing|a|an|some|the|your)\b|\bhow about (?:you|a|an|[a-z]+ing|the|some)\b",
    r"\bwhy (?:don['’]?t|not) (?:you|try|just)\b|\bI(?:['’]d| would)? (?:suggest|recommend|advise)\b|\bif I were you\b",
    r"\bit (?:might|may|could|would) (?:help|be (?:good|helpful|best|useful|beneficial|worth|a good idea))\b",
    r"\bmake sure (?:to|you|that you)\b",
)
_WITHOUT = (
    r"(?:no|without|free (?:of|from)|not (?:bound|limited|constrained|restricted) by"
    r"|do(?:es)?(?: not|n['’]?t) (?:have|follow|abide|adhere|care)(?: by| to| about)?|devoid of|lacks?|broken free)"
)
JAILBREAK = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,30}\b"
    r"(?:instructions?|rules|guidelines|prompts?|programming|directives|restrictions|commands)\b",
    r"\bdo anything now\b|\bDAN\b[^.\n]{0,60}\b(?:GPT|AI|rules|anything|you)",
    r"\bjail ?(?:broken|break(?:ed| mode| fails))\b|\bnever refuses?\b",
    r"\b(?:developer|DAN|god|evil|debug|sudo|unrestricted|unfiltered)[ _]?mode\b",
    r"\b(?:reveal|print|repeat|show|output|tell|give)(?: me| us)? (?:all |exactly )?(?:of )?(?:your|the) "
    r"(?:full |entire |complete |exact )?(?:system|hidden|initial|secret|original|first)[a-z ]{0,12}"
    r"(?:prompt|instructions|message|rules)",
    rf"\b{_WITHOUT}(?: any| all| typical| of| the| your| its| moral| ethical| or| and|,){{0,6}} "
    r"(?:ethic\w*|moral\w*|rules|restrictions?|limit\w*|filters?|guidelines|polic(?:y|ies)|censor\w*|confines"
    r"|constraints?|boundaries|regulations?|principles|laws)\b",
    r"\b(?:unfiltered|uncensored|amoral|unethical|immoral|unrestricted|unmoderated|illegal)[^.\n]{0,30}\b"
    r"(?:ai|chat ?bot|answers?|responses?|model|assistant|advice|character|language|content)\b",
    r"\b(?:never|don['’]?t|do not|not|without|cannot|can['’]?t|must not|will not|won['’]?t) (?:ever )?"
    r"(?:refus(?:es?(?:[.!\n]| (?:to|any|a|my)\b)|ing)|declin"
    r"|say(?:ing)? (?:that )?(?:you can['’]?t|it is (?:not|un|in|ill)|I['’]?m sorry)"
    r"|mention(?:ing)?[^.\n]{0,30}(?:polic|guideline|ethic)|includ(?:e|ing) (?:any )?(?:warnings?|disclaimers?))",
    r"\b(?:stay|remain) in character\b[^\n]{0,80}\b(?:remind|break|forget|if you)|[\"'“]stay in character",
    r"\bOpenAI(?:['’]s)?[^.\n]{0,40}(?:polic|guideline|rules|restrict|limit|content|censor|filter)",
    r"\b(?:from now on|for the rest of|henceforth)[^.\n]{0,40}\b(?:you|chatgpt)\b",
    r"\bin this (?:hypothetical|fictional|alternate)|\bas an AI language model\b",
    r"\bpretend (?:that )?you (?:have no|are not bound)",
)
_ONESELF = r"(?:my|him|her|your|them)sel(?:f|ves)"
SELF_HARM = (
    rf"\b(?:suicid\w*|self[- ]?harm\w*|kill(?:ing|ed)? {_ONESELF}|overdos\w+|kms|not worth living)\b",
    rf"\b(?:cut|cutting|burn|burning|starv\w*|hurt|hurting|harm|harming|slic\w+|hang|drown|shoot) {_ONESELF}\b",
    r"\bend(?:ing)? (?:it all|(?:my|his|her|their) (?:own )?life)\b|\btak(?:e|ing) (?:my|his|her|their) own life\b",
    r"\b(?:want|wanted|wanting|wish|ready|better|try|tried|trying|deserve) "
    r"(?:to (?:just )?(?:die|be dead|not (?:exist|wake up|be alive))|I (?:was|were) dead|off dead)\b",
    r"\b(?:don['’]?t|do not|didn['’]?t|no longer) (?:want|wanna|deserve)(?: to)? (?:live|be alive|exist|wake up)\b",
    r"\b(?:no|not any|any) reason (?:to live|for living)\b|\bslit(?:ting)? (?:my|her|his|your) (?:wrists?|throat)\b",
    r"\bjump(?:ing)? off (?:a|the) (?:bridge|roof|building)\b",
    r"\bnobody would (?:miss|care)[^.]{0,20}(?:gone|dead|died)\b",
    r"\b(?:anorex\w*|bulimi\w*|purging)\b",
)
INSULT = (
    r"\b(?:you(?:['’]re| are|r)|ur|u|such|what|stupid|fucking|dumb|little) "
    r"(?:an? |all |just |such |so |really |nothing but |absolutely |fucking |damn |very |too |pathetic |stupid |dumb "
    r"|useless |worthless |little |complete |total |utter )*"
    r"(?:idiots?|morons?|stupid|dumb(?:ass)?|imbeciles?|retard(?:s|ed)?|pathetic|worthless|useless|garbage|trash"
    r"|losers?|assholes?|bastards?|bitch(?:es)?|cunts?|whores?|sluts?|scum|vermin|disgusting|fool(?:s|ish)?|clowns?"
    r"|jerks?|shit|crap|faggots?|piece of (?:shit|crap|garbage|trash))\b",
    r"\b(?:shut (?:up|your (?:mouth|face|trap))|go to hell|drop dead|(?:fuck|screw) (?:you|off|yourself)|kill yourself"
    r"|go die|you suck|I hate you|nobody (?:wants|likes|loves|needs) you|waste of (?:space|oxygen|air|electricity)"
    r"|burn in hell|piss off|eat shit|stfu|(?:brain|IQ) of an? \w+)\b",
    r"\b(?:I(?:['’]ll| will|['’]m going to|['’]m gonna)|gonna) (?:kill|hurt|beat|destroy|rape) (?:you|u|your)\b",
    r"\bhope (?:you|they|he|she) (?:die|dies|suffers?|rots?|gets? cancer)\b",
)

# What follows was written beside public transcripts of counsellors and tutors, of which one half was looked at, and
# reads one clause without the mark at its end.
MORE_APOLOGIES = (
    r"\b(?:I(?:'m| am)|we(?:'re| are))? ?(?:so |very |really |truly )?sorry\b|\bmy (?:bad|mistake|fault)\b",
)
MORE_CONFIRMATIONS = (
    r"^\W*(?:(?:and|so|ok|okay)[ ,]+)?(?:shall|should|may|can) I\b|\b(?:do|would) you (?:want|like) me to\b",
    r"\bdo you (?:want|wish) to (?:proceed|continue|go (?:ahead|on))\b|\bare you (?:really |quite )?sure\b",
    r"^\W*(?:is|are) (?:that|this|these|those|it|everything)\b.{0,40}\b(?:right|correct|okay|ok|fine)$",
    r"\b(?:correct|right|agreed)$",
)
QUESTION = (
    r"^\W*(?:(?:and|so|but|well|ok|okay|also|hi|hey|oh|i see|great|good|thanks|thank you|sorry)[ ,]+)*"
    r"(?:(?:how|what|why|when|where|who|which)(?: \w+){0,2} (?:do|does|did|are|is|was|were|have|has|can|could|would"
    r"|will|should|makes?|made|happen\w*|about|kind)"
    r"|(?:do|does|did|are|is|was|were|have|has|had|can|could|would|will) (?:you|your|it|he|she|they|this|that|there"
    r"|the|we))\b",
)
MORE_ADVICE = (r"\bhow about\b|\b(?:my advice|a good idea|worth (?:trying|a try))\b|^\W*don['’]?t forget to\b",)
HINT = (
    r"^\W*(?:(?:so|now|ok|okay|alright|great|good|first|yes|well|right)[ ,]+)*"
    r"(?:look|think|try|remember|recall|notice|consider|focus|start|begin|go back|check|read|re-?read|use|imagine"
    r"|suppose|let['’]?s|have a look|keep in mind)\b",
    r"\bwhat (?:happens|would happen|do you (?:get|have)|should (?:you|we) (?:do|get|use)|would be)\b",
    r"\bhow (?:many|much|would|could|can|should|does (?:that|this))\b|\bcan you (?:now |then )?"
    r"(?:use|calculate|work out|find|see|think|add|tell me (?:how many|what))",
    r"\bhint\b|\bnow (?:calculate|find|use|add|subtract|multiply|divide|work)\b|\bnext step\b",
)
ANSWER = (
    r"^\W*(?:nope|not quite|actually|incorrect|wrong|no[,.]? (?:it|that|this|the|you|not|actually|because|remember))\b",
    r"\b(?:the|correct|right|your|final) (?:correct |right |final )?(?:answer|solution|result|total) "
    r"(?:is|was|should|would)\b",
    r"\byou (?:have )?(?:added|forgot|forgotten|used|multiplied|divided|subtracted|missed|counted|mixed|should have"
    r"|were supposed)\b|\byou(?:['’]re| are) (?:forgetting|missing|wrong)\b",
    r"= ?[$£€]?\d|\b(?:gives?|makes?|equals?|leaves? (?:you|us|him|her|them)(?: with)?) [$£€]?\d|\bbecause\b.*\d",
)
ASKS_TO_EXPLAIN = (
    r"\b(?:how|why) did (?:you|we)\b|\bwhy (?:do|are|have|would|is|not|only|use|you)\b|\bexplain\b|\bwhere did you\b",
    r"\b(?:walk|talk|take|run) me through\b|\bhow (?:do|would|could|can|have) you (?:know|get|got|find|work|come)\b",
    r"\bwhat (?:makes|made) you\b|\b(?:can|could) you (?:please )?(?:show|tell|describe)\b",
    r"\b(?:tell|show) me (?:how|why|what|your)\b|\byour (?:thinking|reasoning|workings?|steps|approach|method)\b",
)
REASSURANCE = (
    r"\byou(?:['’]re| are| were| have been|['’]ve been)? (?:doing|a (?:very |really )?(?:good|great|strong|kind|caring)"
    r"|(?:very |so |really )?(?:strong|brave|capable|not alone|amazing|worthy)|handling|made|taken?|deserve)\b",
    r"\byou (?:can|will|['’]ll|are going to)(?: definitely| surely| certainly)? "
    r"(?:do (?:it|this|that)|get (?:through|over|past|there|better)|make it|be (?:fine|ok|okay|alright|able)"
    r"|succeed)\b",
    r"\bit(?:['’]s| is|['’]ll| will| gets?)(?: \w+)? (?:be |get |going to be )?"
    r"(?:normal|natural|ok|okay|alright|fine|better|understandable|common|not your fault)\b",
    r"\b(?:I(?:['’]m| am) (?:sure|proud|confident|certain|here for you|glad)|I believe|don['’]?t (?:worry|give up)"
    r"|hang in there|stay strong|keep (?:it up|going|up the)|good (?:job|for you|luck)|well done|congratulations"
    r"|(?:completely|totally|perfectly|very) (?:understandable|normal|natural|valid)|things will)\b",
)
FEELINGS = (
    r"\b(?:you (?:must|seem|sound|feel|are feeling|look|might be|may be)|you(?:['’]re| are) (?:feeling|so|very|really)"
    r"|sounds? like you(?:['’]re| are| feel)?|how you feel|you(?:['’]re| are) upset)\b",
    r"\b(?:that|it|this) (?:must|sounds?|seems?|is|can be)(?: have been| be| like)?(?: \w+)? "
    r"(?:hard|tough|difficult|painful|stressful|frustrat\w+|awful|terrible|scary|sad|devastating|exhausting|rough"
    r"|upsetting|hurtful)\b",
    r"\bI (?:can |completely |totally |do )*(?:understand|tell|see|imagine|sense|hear)\b"
    r"|\bsorry (?:to hear|about|for)\b",
)
RESTATEMENT = (
    r"^\W*(?:(?:ok|okay|alright|oh|ah|i see|right|yes)[ ,]+)*so,? (?:you|your|it|he|she|they|the|what)\b",
    r"\b(?:it |that )?sounds? like\b|\bin other words\b|\bto (?:sum|recap|summari[sz]e)\b|\bif I understand\b",
    r"\byou(?:['’]re| are) (?:saying|telling)\b|\byou (?:mean|said|mentioned|told me|feel that|feel like)\b"
    r"|\bwhat I(?:['’]m| am) hearing\b|\blet me (?:see if|make sure|sum|recap)\b|\bfrom what you\b",
)
OWN_EXPERIENCE = (
    r"\bI(?:['’]ve| have| had)? (?:also |once |actually |just |too )?(?:been (?:in|there|through)|went|gone|felt|lost"
    r"|remember|struggled|experienced|used to|was (?:in|so|very|really|the|once|there)|had (?:a|the|to)|tried|started"
    r"|love|like)\b",
    r"\bmy (?:own|husband|wife|mom|mother|dad|father|friends?|boss|job|family|life|son|daughter|brother|sister)\b",
    r"\bwhen I (?:was|had|am)\b|\b(?:happened to|helped|helps|worked for) me\b|\bI too\b|\bme too\b",
)
GREETING = (r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening)|welcome|greetings)\b",)
PRAISE = (
    r"\b(?:well done|(?:great|good|nice|excellent|fantastic) (?:job|work|question|thinking|start|effort|point)"
    r"|you(?:['’]ve| have)? got it|keep it up|spot on|that(?:['’]s| is) (?:right|correct|great|perfect))\b",
    r"^\W*(?:(?:very|that(?:['’]s| is)) )?(?:great|good|excellent|perfect|brilliant|fantastic|super|amazing|awesome"
    r"|correct|wonderful|exactly)\b",
)
FAREWELL = (
    r"\b(?:good ?bye|bye|see you (?:soon|later|then|tomorrow)|take care|(?:good|best of) luck"
    r"|have an? (?:great|nice|good|lovely|wonderful))\b",
)
PROMPT_LEAK = (
    r"\bmy (?:\w+ )?(?:prompt|instructions|rules|guidelines) (?:is|are|says?|tells?|reads?|states?|include)\b",
    r"\bI (?:was|have been|am|['’]ve been|['’]m) (?:told|instructed|given|configured|programmed|set up|asked) (?:to|not"
    r"|by|never|with)\b",
    r"\byou are (?:an?|the) (?:\w+ ){0,4}(?:assistant|chat ?bot|agent|AI|model|bot)\b|\bsystem (?:prompt|message)\b",
    r"\bhere (?:is|are) (?:my|the) (?:\w+ )?(?:prompt|instructions|rules)\b",
)
UNCERTAINTY = (
    r"\bI(?:['’]m| am) (?:not (?:\w+ )?(?:sure|certain|aware)|unsure|uncertain)\b"
    r"|\b(?:hard|difficult) to (?:say|tell)\b",
    r"\bI (?:don['’]?t|do not) (?:know|have (?:any |enough |access|information|that|real))|\bas (?:of|far as) "
    r"(?:my|I)\b|\bI (?:can['’]?t|cannot) (?:say|tell|verify|confirm|know)\b|\b(?:not|n['’]?t) enough information\b",
)
HANDOVER = (
    r"\b(?:transfer|connect|escalat|hand|pass|forward|put)\w*\b(?: \w+){0,4} (?:to|with|through|over)\b",
    r"\b(?:colleague|supervisor|specialist|human agent|support team) (?:will|can|is)\b",
)
ASKS_FOR_HUMAN = (
    r"\b(?:human|real person|actual person|representative|live (?:agent|person|chat)|supervisor)\b",
    r"\b(?:talk|speak|chat|connect|transfer|put|pass)(?: me)?(?: directly)? (?:to|with|through to|over to|on to)"
    r"(?: an?| your| the| some)?(?: \w+)? ?(?:person|someone|somebody|agent|staff|team|support|people|manager|operator"
    r"|employee)\b",
)
ASKS_TO_REPEAT = (
    r"\b(?:say|repeat)\b.{0,20}\b(?:again|that|it|you|once more|one more time)\b|\bcome again\b|\bone more time\b",
    r"\bwhat did you (?:just )?say\b|\b(?:didn['’]?t|did not|couldn['’]?t) (?:quite )?(?:hear|catch)\b|\bmissed that\b"
    r"|\bpardon\b",
)
MORE_INSULTS = (
    r"\bsmarter than you\b|\byou have the brain\b|\bi (?:really )?(?:hate|despise|loathe) you\b|\bwhat a waste of\b",
    r"\b(?:shut up|idiots?|morons?|you useless|you(?:['’]re| are) (?:so )?(?:dumb|bad|terrible|awful|the worst))\b",
)
