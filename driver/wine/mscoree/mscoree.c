/*
 * mscoree.dll for Wine without Mono: CLRCreateInstance succeeds and hands out an object that can do nothing.
 *
 * pykd asks for the .NET host once, when it initialises, to be able to inspect managed processes; it fails as a
 * whole when the call fails. Nothing in kernel debugging uses the object.
 */
#include <windows.h>

typedef HRESULT(STDMETHODCALLTYPE *method)(void *);

static HRESULT STDMETHODCALLTYPE query_interface(void *self, const IID *iid, void **object)
{
    (void)iid;
    *object = self;
    return S_OK;
}

static ULONG STDMETHODCALLTYPE count(void *self)
{
    (void)self;
    return 1; /* static, never freed */
}

static HRESULT STDMETHODCALLTYPE not_implemented(void *self)
{
    (void)self;
    return E_NOTIMPL;
}

/* IUnknown, then as many slots as the largest interface of the .NET host (ICorDebug, 28 methods) has. */
static const void *const methods[] = {
    (const void *)query_interface, (const void *)count, (const void *)count,
#define FIVE                                                                                                    \
    (const void *)not_implemented, (const void *)not_implemented, (const void *)not_implemented,               \
        (const void *)not_implemented, (const void *)not_implemented
    FIVE, FIVE, FIVE, FIVE, FIVE, FIVE,
};

static const void *const *const object = methods;

HRESULT WINAPI CLRCreateInstance(const CLSID *clsid, const IID *iid, void **instance)
{
    (void)clsid;
    (void)iid;
    *instance = (void *)&object;
    return S_OK;
}

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, LPVOID reserved)
{
    (void)module;
    (void)reason;
    (void)reserved;
    return TRUE;
}
