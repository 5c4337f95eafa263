/* A name that an object owns until it is taken out of it. For filters.c. */
#include <fltKernel.h>

extern "C" BOOLEAN Mended;

namespace {

PFLT_FILE_NAME_INFORMATION Latest;

class FileName {
public:
    explicit FileName(PFILE_OBJECT File)
    {
        const auto Options = FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT;

        if (!NT_SUCCESS(FltGetFileNameInformationUnsafe(File, nullptr, Options, &Information)))
            Information = nullptr;
    }
    FileName(const FileName &) = delete;
    FileName &operator=(const FileName &) = delete;
    ~FileName()
    {
        if (Information != nullptr)
            FltReleaseFileNameInformation(Information);
    }

    /* From now on it owns what Other was. */
    void Exchange(PFLT_FILE_NAME_INFORMATION &Other)
    {
        const auto Mine = Information;

        Information = Other;
        Other = Mine;
    }
    PUNICODE_STRING Text() const { return Information == nullptr ? nullptr : &Information->Name; }

private:
    PFLT_FILE_NAME_INFORMATION Information;
};

} // namespace

extern "C" VOID NTAPI RemembersName(PEPROCESS, HANDLE, PPS_CREATE_NOTIFY_INFO Info)
{
    if (Info == nullptr)
        return;
    FileName Name(Info->FileObject);
    if (Latest != nullptr)
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "%wZ after %wZ\n", Name.Text(), &Latest->Name);
    Name.Exchange(Latest);
}

extern "C" VOID ForgetsName()
{
    if (Mended && Latest != nullptr)
        FltReleaseFileNameInformation(Latest);
}
