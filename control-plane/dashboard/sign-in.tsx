import { useState } from 'preact/hooks';
import { Problem } from './api.ts';
import { signIn } from './session.ts';
import { Button, Field } from './ui/form.tsx';
import { Mark } from './ui/mark.tsx';

/** Asks for a token, and looks whether the control plane knows it. */
export function SignIn() {
  const [secret, setSecret] = useState('');
  const [refusal, setRefusal] = useState<string>();
  const [isAsking, setAsking] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setAsking(true);
    try {
      const answer = await fetch('/v1/sites?limit=1', {
        headers: { authorization: `Bearer ${secret.trim()}` },
      });
      // A token that may not list sites is known all the same.
      if (answer.status === 401) {
        const content = (await answer.json()) as { detail?: string };
        throw new Problem(content, 401);
      }
      signIn(secret.trim());
    } catch (error) {
      setRefusal(error instanceof Problem ? error.message : 'The control plane cannot be reached');
      setAsking(false);
    }
  };
  return (
    <main class="sign-in">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <Mark />
        <h1>Sign in to Canopy</h1>
        <Field
          label="API token"
          hint={
            <>
              Printed at the first start, or made by <code>canopy tokens create</code>
            </>
          }
          error={refusal}
        >
          {(props) => (
            <input
              {...props}
              type="password"
              autocomplete="off"
              spellcheck={false}
              required
              value={secret}
              onInput={({ currentTarget }) => setSecret(currentTarget.value)}
            />
          )}
        </Field>
        <Button kind="primary" type="submit" busy={isAsking}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
