#include "payload.h"

BOOL GetDword(PAYLOAD *Payload, PDWORD Value)
{
    if (Payload->Count < sizeof(*Value))
        return FALSE;
    CopyMemory(Value, Payload->Bytes, sizeof(*Value));
    Payload->Bytes += sizeof(*Value);
    Payload->Count -= sizeof(*Value);
    return TRUE;
}

VOID PutBytes(PAYLOAD *Payload, const VOID *Bytes, DWORD Count)
{
    if (Count > Payload->Capacity - Payload->Count)
        return;
    CopyMemory(Payload->Bytes + Payload->Count, Bytes, Count);
    Payload->Count += Count;
}

VOID PutDword(PAYLOAD *Payload, DWORD Value)
{
    PutBytes(Payload, &Value, sizeof(Value));
}
