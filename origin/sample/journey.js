// Shows which caches the page passed: one line for each entry of Cache-Status (RFC 9211).
const journey = document.getElementById('journey');

function line(entry) {
  const [cache, ...parameters] = entry.split(';').map((part) => part.trim());
  const item = document.createElement('li');
  const name = document.createElement('strong');
  name.textContent = cache;
  item.append(name, parameters.join(', '));
  item.classList.toggle('hit', parameters.includes('hit'));
  return item;
}

function note(text) {
  const item = document.createElement('li');
  item.textContent = text;
  return item;
}

async function ask() {
  try {
    // Past the browser's own cache, so that an edge answers.
    const answer = await fetch('/', { method: 'HEAD', cache: 'no-store' });
    const status = answer.headers.get('Cache-Status');
    const entries =
      status === null ? [note('No cache was passed.')] : status.split(/, */).map(line);
    journey.replaceChildren(...entries);
  } catch {
    journey.replaceChildren(note('No answer: is the network still running?'));
  }
}

for (const place of document.querySelectorAll('.here')) place.textContent = `${location.origin}/`;
document.getElementById('again').addEventListener('click', () => void ask());
void ask();
