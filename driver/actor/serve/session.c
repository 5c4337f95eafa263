#include "session.h"

#include "operations.h"
#include "program.h"

static struct {
    DWORD Nonce;        /* the host's; 0 before the first one */
    BOOL Waiting;       /* the latest request is answered later */
    FRAME Latest;       /* the answer to the latest request */
} Session;

static PAYLOAD AnswerAfterStatus(VOID)
{
    return (PAYLOAD){.Bytes = Session.Latest.Payload, .Count = sizeof(DWORD), .Capacity = MAX_PAYLOAD};
}

static VOID Answer(LINE *Line, DWORD Status, const PAYLOAD *Payload)
{
    Session.Waiting = FALSE;
    CopyMemory(Session.Latest.Payload, &Status, sizeof(Status));
    Session.Latest.Length = (WORD)Payload->Count;
    WriteFrame(Line, &Session.Latest);
}

static VOID SayWithoutAnswer(LINE *Line, BYTE Kind, const FRAME *About)
{
    static FRAME Frame;

    Frame.Kind = Kind;
    Frame.Operation = About != NULL ? About->Operation : 0;
    Frame.Length = 0;
    Frame.Session = About != NULL ? About->Session : 0;
    Frame.Id = About != NULL ? About->Id : 0;
    WriteFrame(Line, &Frame);
}

VOID SayDamaged(LINE *Line)
{
    SayWithoutAnswer(Line, KIND_DAMAGED, NULL);
}

VOID EndSession(VOID)
{
    DropEverything();
    Session.Nonce = 0;
    Session.Waiting = FALSE;
}

/* FALSE when the request is of another session than the latest. */
static BOOL Join(const FRAME *Request)
{
    if (Request->Session != 0 && Request->Session == Session.Nonce)
        return TRUE;
    if (Request->Session == 0 || Request->Operation != OPERATION_HELLO)
        return FALSE;
    EndSession();
    Session.Nonce = Request->Session;
    Session.Latest.Id = Request->Id - 1;
    return TRUE;
}

VOID HandleFrame(LINE *Line, const FRAME *Request)
{
    if (Request->Kind != KIND_REQUEST)
        return;
    if (!Join(Request)) {
        SayWithoutAnswer(Line, KIND_NO_SESSION, Request);
        return;
    }
    if (Request->Id == Session.Latest.Id && !Session.Waiting)
        WriteFrame(Line, &Session.Latest);
    if (Request->Id != Session.Latest.Id + 1)
        return;

    PAYLOAD Asked = {.Bytes = (PBYTE)Request->Payload, .Count = Request->Length};
    PAYLOAD Answered = AnswerAfterStatus();

    Session.Latest.Kind = KIND_REPLY;
    Session.Latest.Operation = Request->Operation;
    Session.Latest.Session = Request->Session;
    Session.Latest.Id = Request->Id;
    const DWORD Status = Perform(Request->Operation, &Asked, &Answered);
    if (Status == STATUS_LATER)
        Session.Waiting = TRUE;
    else
        Answer(Line, Status, &Answered);
}

BOOL HandleTime(LINE *Line)
{
    PAYLOAD Answered = AnswerAfterStatus();

    WatchProgram();
    if (Session.Waiting && IsWaitOver(&Answered))
        Answer(Line, ERROR_SUCCESS, &Answered);
    return Program.State == PROGRAM_RUNS;
}
