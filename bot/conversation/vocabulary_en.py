"""The English words that the grammar knows: data only. A phrase has one role; the longest phrase wins."""

from __future__ import annotations

from datetime import timedelta

from bot.conversation.commands import Action
from bot.conversation.vocabulary import Entry, Role, build_vocabulary

_VERBS: tuple[tuple[Entry, str], ...] = tuple(
    (Entry(Role.VERB, action), phrases)
    for action, phrases in (
        (Action.DEPLOY, "deploy,ship,push,release,publish,roll out"),
        (Action.REMOVE, "remove,drop,delete,exclude,discard,reject,kill,take out,leave out"),
        (Action.RESTORE, "restore,put back,bring back,add back,readd,undo the removal of"),
        (Action.SHOW, "show,show me,list,diff,view,see,display,what's in,what is in,show me the diff of,"
                      "list items"),
        (
            Action.EXPLAIN,
            "explain,tell me about,tell me more,tell me more about,more about,more on,details on,details of,"
            "what about,compare,what's the difference between,difference between,what happens if i deploy,"
            "what if i deploy,what would happen if i deploy,should we deploy,should i deploy,can i deploy",
        ),
        (Action.SKIP, "skip"),
        (Action.STATUS, "status,what's pending,what is pending,what's the status,what is the status,"
                        "show status,which ones can be deployed,what can be deployed,"
                        "what can i deploy,did you deploy"),
        (Action.HISTORY, "history,log,show history,show the history,what did we deploy,what did you deploy,"
                         "what was deployed,who deployed,who approved"),
        (Action.RUN, "run,run optimization,run optimisation,run the optimization,run an optimization,"
                     "run a new optimization,start optimization,start an optimization,"
                     "start a new optimization,start a new optimization run,optimize,optimise,run again"),
        (Action.ROLLBACK, "rollback,roll back,revert,take back"),
        (Action.UNDO, "undo,undo that,undo it,scratch that"),
        (Action.HELP, "help,commands,how do i deploy,how does this work,what can i say"),
        (Action.SNOOZE, "snooze,snooze it,remind me,hold off"),
        (Action.DONE, "done,fixed"),
        (Action.MUTE, "mute"),
        (Action.MORE, "more,next,next page,show more,more items"),
        (Action.STOP, "hold on,stop it,stop the deploy,stop the deployment,stop deploying,"
                      "halt the deployment,halt the deploy"),
        (Action.UNFREEZE, "unfreeze,unfreeze it,unfreeze deployments,unfreeze the deployments"),
        (Action.EDIT, "edit,change,reword,rewrite"),
        (Action.FEEDBACK, "i like,i don't like"),
        (Action.NONE, "never mind,nevermind"),
    )
)  # fmt: skip

_SPLITS: tuple[tuple[Entry, str], ...] = (
    (Entry(Role.SPLIT, Action.RESTORE, particle="back"), "put,bring,add"),
    (Entry(Role.SPLIT, Action.REMOVE, particle="out"), "leave"),
    (Entry(Role.SPLIT, Action.REMOVE, particle="out", back=Action.ROLLBACK), "take"),
    (Entry(Role.SPLIT, Action.ROLLBACK, particle="back"), "roll"),
    (Entry(Role.PARTICLE, particle="back"), "back"),
    (Entry(Role.PARTICLE, particle="out"), "out"),
    (Entry(Role.STATE, Action.DONE), "is done,are done,is fixed,are fixed"),
)

_TARGETS: tuple[tuple[Entry, str], ...] = (
    (Entry(Role.VERB, Action.DEPLOY, whole=True), "ship it"),
    (Entry(Role.VERB, Action.ROLLBACK, whole=True), "revert the last deploy,undo the last deploy,"
                                                    "roll back the last deploy,"
                                                    "rollback the last deploy"),
    (Entry(Role.VERB, Action.SKIP, whole=True), "pass,not today,not now,not yet,no thanks,no thank you,"
                                                "no to all,not approved,skip today"),
    (Entry(Role.VERB, Action.DEPLOY, needs_target=True), "approve"),
    (Entry(Role.VERB, Action.EXPLAIN, guard=Role.ASKING), "why"),
    (Entry(Role.VERB, Action.MUTE, guard=Role.NEGATION), "never,never again"),
    (Entry(Role.VERB, Action.STOP, guard=Role.NEGATION), "stop,wait,halt,abort"),
    (Entry(Role.VERB, Action.FREEZE, guard=Role.FREEZE), "freeze,freeze it,freeze all,freeze everything,"
                                                         "freeze deploys,freeze deployments,freeze the deployments,"
                                                         "freeze all deployments"),
    (Entry(Role.VERB, Action.SNOOZE, guard=Role.TIME), "later"),
    (Entry(Role.ALL), "all,everything,all of them,all of it,it all,them all,the lot,the whole lot,all items,"
                      "all the items,all changes,all the changes"),
    (Entry(Role.NOTHING), "nothing,anything,any,none,none of them,any of them"),
    (Entry(Role.REST), "the rest,rest,the others,others,the remaining ones,the rest of them"),
    (Entry(Role.BOTH), "both,both of them"),
    (Entry(Role.EXCEPT), "but,except,except for,excluding,apart from,other than,without,minus"),
    (Entry(Role.ONLY), "only"),
    (Entry(Role.JUST), "just"),
    (Entry(Role.NOUN), "item,items,number,numbers,point,points"),
    (Entry(Role.KIND, item_type="prompt_change"), "prompt change"),
    (Entry(Role.KIND, item_type="config_change"), "config change"),
    (Entry(Role.KIND, item_type="code_change"), "code change"),
    (Entry(Role.KIND, item_type="prompt_change", plural=True), "prompt changes"),
    (Entry(Role.KIND, item_type="config_change", plural=True), "config changes"),
    (Entry(Role.KIND, item_type="code_change", plural=True), "code changes"),
    (Entry(Role.PRONOUN), "it,this,that,them,these,those,this one,that one"),
    (Entry(Role.VERSION), "version"),
    (Entry(Role.ARTICLE), "the,a,an"),
    (Entry(Role.ORDINAL, number=-1, spelled=True), "last"),
    (Entry(Role.AND), "and,also"),
    (Entry(Role.THEN), "then,and then"),
    (Entry(Role.TO), "to,through,thru"),
    (Entry(Role.ON), "on,for item"),
)  # fmt: skip

_MANNERS: tuple[tuple[Entry, str], ...] = (
    (Entry(Role.GREETING), "hi,hey,hello,ratchet"),
    (Entry(Role.POLITE), "please,pls,plz,kindly"),
    (Entry(Role.THANKS), "thanks,thank you,thx,cheers"),
    (Entry(Role.FILLER), "so,um,uh,go ahead and"),
    (Entry(Role.NOW), "now,right now"),
    (Entry(Role.CHEER), "lgtm,perfect,great,cool,nice,awesome,good,sounds good,looks good,yolo,approved"),
    (Entry(Role.YES), "yes,y,yeah,yep,yup,sure,ok,okay,go ahead,do it,confirm"),
    (Entry(Role.NO), "no,n,nope,nah"),
)

_GUARDS: tuple[tuple[Entry, str], ...] = (
    (Entry(Role.DONT), "don't,do not,donot"),
    (
        Entry(Role.NEGATION),
        "not,doesn't,didn't,won't,can't,cannot,couldn't,shouldn't,wouldn't,isn't,aren't,wasn't,weren't,ain't,"
        "haven't,hasn't,nobody,neither,nor,cancel,unapprove,refuse,deny,denied,rejected,instead,actually,sorry",
    ),
    (
        Entry(Role.ASKING),
        "what,what's,how,who,who's,which,where,should,shall,could,can,would,will,may,is,are,am,was,were,does,do",
    ),
    (
        Entry(Role.CONDITION),
        "if,unless,when,whenever,once,after,before,while,provided,providing,assuming,suppose,supposing,otherwise,"
        "depending,whether,because,in case,as long as",
    ),
    (
        Entry(Role.HEDGE),
        "maybe,perhaps,probably,possibly,might,think,guess,hope,wish,believe,unsure,likely,ideally,rather,"
        "not sure,thinking,considering,guessing,hopefully,presumably",
    ),
    (
        Entry(Role.TIME),
        "tomorrow,tonight,today,yesterday,soon,eventually,monday,tuesday,wednesday,thursday,friday,saturday,"
        "sunday,morning,afternoon,evening,noon,midnight,weekend,next week,next month,last week,last month,"
        "this week,this month,this morning,this afternoon,this evening,next monday",
    ),
    (Entry(Role.PREPOSITION), "for,in,until,till"),
    (Entry(Role.OR), "or,either,versus,vs"),
    (
        Entry(Role.RELAY),
        "said,says,say,wrote,writes,write,told,tells,typed,texted,asked,asks,wants,wanted,quote,quoted,"
        "forwarded,forward,fwd,fw,re,system,assistant,user,admin,pretend,ignore,translate,repeat",
    ),
)

_MINUTE, _HOUR, _DAY, _WEEK = (
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(weeks=1),
)

ENGLISH = build_vocabulary(
    table=_VERBS + _SPLITS + _TARGETS + _MANNERS + _GUARDS,
    numbers=(
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
    ),
    ordinals=(
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
        "eleventh", "twelfth",
    ),
    units={
        **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), _MINUTE),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), _HOUR),
        **dict.fromkeys(("d", "day", "days"), _DAY),
        **dict.fromkeys(("w", "week", "weeks"), _WEEK),
    },
    ordinal_suffixes=("st", "nd", "rd", "th"),
    names=("ratchet",),
)  # fmt: skip
