import { useEffect } from 'preact/hooks';
import { pageFor, PAGES } from './pages/pages.ts';
import { usePlace } from './router.ts';
import { token } from './session.ts';
import { useSignal } from './signal.ts';
import { SignIn } from './sign-in.tsx';
import { Layout } from './ui/layout.tsx';
import { Empty } from './ui/states.tsx';
import { Toasts } from './ui/toasts.tsx';

export function App() {
  const secret = useSignal(token);
  const place = usePlace();
  const page = pageFor(place);
  const title = secret === undefined ? 'Sign in' : (page?.title ?? 'Not found');
  useEffect(() => {
    document.title = `${title} · Canopy`;
  }, [title]);
  if (secret === undefined) return <SignIn />;
  return (
    <>
      <Layout pages={PAGES} current={page?.name}>
        {page === undefined ? (
          <Empty title="There is no such page">
            <a href="#/">To the overview</a>
          </Empty>
        ) : (
          <page.View place={place} key={page.name} />
        )}
      </Layout>
      <Toasts />
    </>
  );
}
